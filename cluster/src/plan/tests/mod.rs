//! Tests of the planner's parts. What a whole plan looks like is told by the scripts in
//! `cluster/tests/plans`.

mod bootstrap;
mod bootstrap_simulation;
mod placement;

use model::NodeId;

pub(super) fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}
