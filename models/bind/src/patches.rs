//! Cuts what recipes deliver into the patches that convolution stems read.

/// Patches of `[channels, rows, columns]` under a square kernel, row-major over the grid, each `[channels, kernel,
/// kernel]`: what a convolution of that kernel and stride multiplies its weight with. Appends to `out`.
pub fn cut_picture(
    picture: &[f32],
    [channels, rows, columns]: [usize; 3],
    kernel: usize,
    stride: usize,
    out: &mut Vec<f32>,
) {
    for top in (0..=rows - kernel).step_by(stride) {
        for left in (0..=columns - kernel).step_by(stride) {
            for channel in 0..channels {
                for row in top..top + kernel {
                    let at = (channel * rows + row) * columns + left;
                    out.extend_from_slice(&picture[at..at + kernel]);
                }
            }
        }
    }
}

/// Windows of `[channels, samples]`, `kernel` samples each without overlap, each `[channels, kernel]`.
pub fn cut_signal(signal: &[f32], channels: usize, kernel: usize, out: &mut Vec<f32>) {
    let samples = signal.len() / channels;
    for from in (0..samples / kernel * kernel).step_by(kernel) {
        for channel in 0..channels {
            out.extend_from_slice(&signal[channel * samples + from..][..kernel]);
        }
    }
}
