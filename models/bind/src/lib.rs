//! Training: bind a sense to images.
//!
//! As the paper does it (ImageBind, arXiv 2305.05665): image and text first, then every other sense against the frozen
//! image encoder and nothing else. No sense but the image ever meets a word; that sounds can be named must emerge.
//!
//! The data is the simulated world of `sensebind-scene`, and real recordings for ten sounds. Inputs are prepared by the
//! runtime's own code (`sensebind-models`), so training and serving cannot drift apart.
//!
//! * [`config`]: every hyper-parameter. [`run`]: the whole of it. [`stage`]: one stage, saved and resumed.
//! * [`moments`], [`recordings`], [`words`], [`batches`], [`patches`]: what is learned from.
//! * [`encoder`], [`parameters`], [`fused`] ([`kernels`] on a CPU, [`composed`] on a GPU), [`passes`]: the model and its gradients.
//! * [`contrast`], [`optimiser`]: the loss and the steps. [`measure`]: accuracy.
//! * [`scale`]: the temperature to serve at. [`export`]: what is left behind.

pub mod batches;
pub mod chance;
pub mod composed;
pub mod config;
pub mod contrast;
pub mod device;
pub mod encoder;
pub mod export;
pub mod fused;
pub mod kernels;
pub mod measure;
pub mod moments;
pub mod optimiser;
pub mod parameters;
pub mod passes;
pub mod patches;
pub mod progress;
pub mod recordings;
pub mod run;
pub mod scale;
pub mod stage;
pub mod words;
