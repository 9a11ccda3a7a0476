//! What an operator has besides the daemon: examination, status, deployments, adoption, and the files to deploy with.

#[cfg(feature = "devnet")]
mod adopt;
#[cfg(feature = "devnet")]
mod deployments;
mod doctor;
mod files;
mod image;
mod status;
