//! Where training runs: the CPU, or a CUDA GPU with the feature `cuda`.

use burn::backend::Autodiff;

/// The backend without gradients.
#[cfg(not(feature = "cuda"))]
pub type Plain = burn::backend::Flex;
/// The backend without gradients.
#[cfg(feature = "cuda")]
pub type Plain = burn::backend::Cuda;

/// The backend that records gradients.
pub type Tracked = Autodiff<Plain>;

/// The only device, or the first GPU.
pub type Device = <Plain as burn::tensor::backend::BackendTypes>::Device;
