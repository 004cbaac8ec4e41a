//! Emulated chips, one file per family: registers as the data sheets describe them, with settable physical values.

pub mod amg8833;
pub mod bmi160;
pub mod clock;
pub mod icm20948;
pub mod icm42688;
pub mod imu_body;
pub mod lepton;
pub mod lsm6dsox;
pub mod mlx90640;
pub mod mpu6050;
pub mod thermal;
