//! The fused operations, the loss and the optimiser against what they are by definition.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use sensebind_bind::chance::Draw;
use sensebind_bind::composed;
use sensebind_bind::contrast::{Rows, info_nce};
use sensebind_bind::device::{Device, Plain, Tracked};
use sensebind_bind::encoder::Input;
use sensebind_bind::fused::{Fused, gelu, layer_norm, softmax};
use sensebind_bind::kernels;
use sensebind_bind::optimiser::clip;
use sensebind_bind::parameters::Parameters;
use sensebind_bind::passes::{Pass, Share};
use sensebind_core::Sense;

/// erf by its Taylor series: exact enough in f64 for |x| <= 5.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn gelu_exact(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2f64.sqrt()))
}

#[test]
fn gelu_and_its_slope_are_those_of_the_error_function() {
    let xs: Vec<f32> = (-600..=600).map(|i| i as f32 / 100.0).collect();
    let (mut values, mut slopes) = (vec![0.0; xs.len()], vec![1.0; xs.len()]);
    kernels::gelu(&xs, &mut values);
    kernels::gelu_backward(&xs, &mut slopes);
    for ((&x, &value), &slope) in xs.iter().zip(&values).zip(&slopes) {
        let x = f64::from(x);
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let exact_slope = 0.5 * (1.0 + erf(x / 2f64.sqrt())) + x * density;
        assert!((f64::from(value) - gelu_exact(x)).abs() < 2e-6, "gelu({x}) = {value}");
        assert!(
            (f64::from(slope) - exact_slope).abs() < 2e-6,
            "gelu'({x}) = {slope}, exactly {exact_slope}"
        );
    }
}

#[test]
fn far_out_everything_stays_finite() {
    let xs = [-1e30, -1e4, -100.0, 100.0, 1e4, 1e30];
    let (mut values, mut slopes) = ([0.0; 6], [1.0; 6]);
    kernels::gelu(&xs, &mut values);
    kernels::gelu_backward(&xs, &mut slopes);
    assert_eq!(values[3..], [100.0, 1e4, 1e30]);
    assert!(values[..3].iter().all(|value| value.abs() < 1e-30), "{values:?}");
    for (x, slope) in xs.iter().zip(slopes) {
        assert!(
            (slope - if *x > 0.0 { 1.0 } else { 0.0 }).abs() < 1e-6,
            "gelu'({x}) = {slope}"
        );
    }
    let mut row = [-1e9, 0.0, 500.0, 500.0];
    kernels::softmax(&mut row, 4);
    assert_eq!(row, [0.0, 0.0, 0.5, 0.5]);
}

/// Gradient of `sum(w * f(x))` by differences, against the one that was recorded.
fn check(name: &str, x: &[f32], recorded: &[f32], value: impl Fn(&[f32]) -> f64) {
    assert_eq!(x.len(), recorded.len(), "{name}");
    for i in 0..x.len() {
        let step = 1e-2;
        let (mut more, mut less) = (x.to_vec(), x.to_vec());
        more[i] += step;
        less[i] -= step;
        let slope = (value(&more) - value(&less)) / f64::from(more[i] - less[i]);
        let error = (slope - f64::from(recorded[i])).abs();
        assert!(
            error < 3e-3 * (1.0 + slope.abs()),
            "{name} {i}: recorded {}, by differences {slope}",
            recorded[i]
        );
    }
}

fn draws(count: usize, seed: u64) -> Vec<f32> {
    let mut draw = Draw::at(seed, &[]);
    (0..count).map(|_| draw.normal()).collect()
}

fn weighted(values: &[f32], weights: &[f32]) -> f64 {
    values
        .iter()
        .zip(weights)
        .map(|(&value, &weight)| f64::from(value) * f64::from(weight))
        .sum()
}

#[test]
fn recorded_gradients_are_those_by_differences() {
    let device = Device::default();
    let matrix = |values: &[f32], shape: [usize; 2]| {
        Tensor::<Tracked, 2>::from_data(TensorData::new(values.to_vec(), shape), &device).require_grad()
    };
    let (x, gain, bias, weights) = (draws(60, 1), draws(20, 2), draws(20, 3), draws(60, 4));
    let list = |tensor: TensorData| tensor.iter::<f32>().collect::<Vec<f32>>();
    let w = Tensor::<Tracked, 2>::from_data(TensorData::new(weights.clone(), [3, 20]), &device);

    let (tx, tg, tb) = (matrix(&x, [3, 20]), matrix(&gain, [1, 20]), matrix(&bias, [1, 20]));
    let y = gelu(layer_norm(tx.clone(), tg.clone(), tb.clone(), 1e-5));
    let mut gradients = (y * w.clone()).sum().backward();
    let mut taken = |tensor: &Tensor<Tracked, 2>| list(tensor.grad_remove(&mut gradients).unwrap().into_data());
    let host = |x: &[f32], gain: &[f32], bias: &[f32]| {
        let (mut normed, mut out) = (vec![0.0; 60], vec![0.0; 60]);
        kernels::layer_norm(x, gain, bias, 1e-5, &mut normed);
        kernels::gelu(&normed, &mut out);
        weighted(&out, &weights)
    };
    check("layer norm input", &x, &taken(&tx), |x| host(x, &gain, &bias));
    check("layer norm gain", &gain, &taken(&tg), |gain| host(&x, gain, &bias));
    check("layer norm bias", &bias, &taken(&tb), |bias| host(&x, &gain, bias));

    let tx = matrix(&x, [3, 20]);
    let y = softmax(tx.clone().reshape([1, 1, 3, 20])).reshape([3, 20]);
    let mut gradients = (y * w).sum().backward();
    let recorded = list(tx.grad_remove(&mut gradients).unwrap().into_data());
    check("softmax", &x, &recorded, |x| {
        let mut rows = x.to_vec();
        kernels::softmax(&mut rows, 20);
        weighted(&rows, &weights)
    });
}

/// What a GPU would run, run on the CPU, against the CPU's own kernels.
#[test]
fn composed_operations_are_the_fused_ones() {
    let device = Device::default();
    let list = |tensor: FloatTensor<Plain>| {
        Tensor::<Plain, 2>::from_primitive(TensorPrimitive::Float(tensor))
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>()
    };
    let make = |seed: u64, shape: [usize; 2]| {
        let data = TensorData::new(draws(shape[0] * shape[1], seed), shape);
        Tensor::<Plain, 2>::from_data(data, &device).into_primitive().tensor()
    };
    let four = |seed: u64| {
        let data = TensorData::new(draws(60, seed), [1, 1, 3, 20]);
        Tensor::<Plain, 4>::from_data(data, &device).into_primitive().tensor()
    };
    let flat = |tensor: FloatTensor<Plain>| {
        Tensor::<Plain, 4>::from_primitive(TensorPrimitive::Float(tensor))
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>()
    };
    let (x, grad, gain, bias) = (
        || make(1, [3, 20]),
        || make(2, [3, 20]),
        || make(3, [1, 20]),
        || make(4, [1, 20]),
    );
    let mut pairs = vec![
        (list(composed::gelu_erf::<Plain>(x())), list(Plain::gelu_erf(x()))),
        (
            list(composed::gelu_erf_backward::<Plain>(x(), grad())),
            list(Plain::gelu_erf_backward(x(), grad())),
        ),
        (
            flat(composed::softmax_last::<Plain>(four(5))),
            flat(Plain::softmax_last(four(5))),
        ),
        (
            flat(composed::softmax_last_backward::<Plain>(four(5), four(6))),
            flat(Plain::softmax_last_backward(four(5), four(6))),
        ),
        (
            list(composed::norm_rows::<Plain>(x(), gain(), bias(), 1e-5)),
            list(Plain::norm_rows(x(), gain(), bias(), 1e-5)),
        ),
    ];
    let composed = composed::norm_rows_backward::<Plain>(x(), gain(), grad(), 1e-5);
    pairs.extend(
        composed
            .into_iter()
            .map(list)
            .zip(Plain::norm_rows_backward(x(), gain(), grad(), 1e-5).map(list)),
    );
    assert_eq!(pairs.len(), 8);
    for (place, (composed, fused)) in pairs.iter().enumerate() {
        assert_eq!(composed.len(), fused.len());
        for (a, b) in composed.iter().zip(fused) {
            assert!((a - b).abs() < 2e-5, "operation {place}: {a} {b}");
        }
    }
}

#[test]
fn an_encoder_s_gradient_is_that_by_differences() {
    let config: sensebind_bind::config::TrainConfig = toml::from_str(include_str!("support/tiny.toml")).unwrap();
    let device = Device::default();
    let architecture = config.architecture(Sense::Depth);
    let parameters = architecture.initial(&mut Draw::at(5, &[]));
    let input = Input::Patches(draws(2 * architecture.tokens * architecture.patch(), 6));
    let weights = draws(2 * architecture.dim, 7);
    let pass = |parameters: &Parameters| {
        Pass::forward(
            &Share {
                architecture: &architecture,
                parameters,
                input: input.clone(),
                count: 2,
            },
            &device,
        )
    };
    let gradients = pass(&parameters).backward(&weights, &device);
    for (place, parameter) in parameters.iter().enumerate() {
        // Two numbers of every weight.
        for element in [0, parameter.values.len() / 2] {
            let moved = |by: f32| {
                let mut parameters = parameters.clone();
                if let Some(parameter) = parameters.iter_mut().nth(place) {
                    parameter.values[element] += by;
                }
                weighted(&pass(&parameters).rows.values, &weights)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            let recorded = f64::from(gradients[place][element]);
            let name = &parameter.name;
            assert!(
                (slope - recorded).abs() < 5e-3 * (1.0 + slope.abs()),
                "{name}[{element}]: {recorded}, {slope}"
            );
        }
    }
}

#[test]
fn info_nce_of_a_case_worked_out_by_hand() {
    // Rows of any length; cosines are 1 on the diagonal and 0 beside it. With scale 2 each row's cross-entropy is
    // ln(e^2 + 1) - 2, both ways.
    let left = Rows {
        width: 2,
        values: vec![3.0, 0.0, 0.0, 0.5],
    };
    let right = Rows {
        width: 2,
        values: vec![1.0, 0.0, 0.0, 7.0],
    };
    let expected = (2f32.exp() + 1.0).ln() - 2.0;
    let contrast = info_nce(&left, &right, 2.0, 0.0);
    assert!((contrast.loss - expected).abs() < 1e-6, "{} {expected}", contrast.loss);
    // Half smoothed: three quarters of the weight on the pair, a quarter on the other: 0.25 * 2 nats more.
    let smoothed = info_nce(&left, &right, 2.0, 0.5);
    assert!((smoothed.loss - expected - 0.5).abs() < 1e-6, "{}", smoothed.loss);
}

#[test]
fn info_nce_s_gradients_are_those_by_differences() {
    let left = Rows {
        width: 5,
        values: draws(30, 8),
    };
    let right = Rows {
        width: 5,
        values: draws(30, 9),
    };
    let contrast = info_nce(&left, &right, 3.0, 0.1);
    let rows = |values: &[f32]| Rows {
        width: 5,
        values: values.to_vec(),
    };
    check("left", &left.values, &contrast.left.values, |x| {
        f64::from(info_nce(&rows(x), &right, 3.0, 0.1).loss)
    });
    check("right", &right.values, &contrast.right.values, |x| {
        f64::from(info_nce(&left, &rows(x), 3.0, 0.1).loss)
    });
}

#[test]
fn clipping_is_of_the_whole_gradient() {
    let (mut a, mut b) = (vec![vec![3.0, 0.0], vec![0.0]], vec![vec![4.0]]);
    assert_eq!(clip(&mut [&mut a, &mut b], 10.0), 5.0);
    assert_eq!((a[0][0], b[0][0]), (3.0, 4.0));
    assert_eq!(clip(&mut [&mut a, &mut b], 1.0), 5.0);
    assert!((a[0][0] - 0.6f32).abs() < 1e-6 && (b[0][0] - 0.8f32).abs() < 1e-6);
}
