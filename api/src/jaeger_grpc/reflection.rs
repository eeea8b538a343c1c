//! `grpc.reflection.v1` and `v1alpha`: what a gRPC port speaks, for grpcurl and its like.
//!
//! The descriptions are `api/proto`, in our words and with the contract's numbers, compiled into
//! `descriptors.bin` by a test, which also notices when the two differ.

use axum::Router;
use tonic_reflection::server::Builder;

/// The compiled descriptions of every service.
pub const DESCRIPTORS: &[u8] = include_bytes!("../../proto/descriptors.bin");

/// Reflection for a port that serves `services`, by their full names.
pub fn router(services: &[&'static str]) -> Router {
    let builder = || {
        let names = services.iter().copied();
        names.fold(
            Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS),
            tonic_reflection::server::Builder::with_service_name,
        )
    };
    let (Ok(current), Ok(alpha)) = (builder().build_v1(), builder().build_v1alpha()) else {
        // The committed descriptions are read by a test of this crate.
        tracing::error!("the descriptions of the gRPC services cannot be read");
        return Router::new();
    };
    Router::new()
        .route_service("/grpc.reflection.v1.ServerReflection/{method}", current)
        .route_service("/grpc.reflection.v1alpha.ServerReflection/{method}", alpha)
}
