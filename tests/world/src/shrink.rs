//! The smallest run that still fails: fewer messages, and no kind of fault that is not needed.

use crate::fault::Fault;
use crate::plan::Plan;
use crate::run::{Report, Simulator};

/// Shrinks a plan that fails, and runs what is left once more with its history.
pub fn shrink(simulator: &mut Simulator, plan: &Plan) -> Report {
    let mut smallest = plan.clone();
    let mut fails = |plan: &Plan| !simulator.run(plan, false).findings.is_empty();
    while smallest.messages > 1 {
        let fewer = [smallest.messages / 2, smallest.messages - 1]
            .map(|messages| Plan { messages, ..smallest.clone() })
            .into_iter()
            .find(&mut fails);
        let Some(fewer) = fewer else { break };
        smallest = fewer;
    }
    for fault in Fault::all().iter().copied() {
        if smallest.without.contains(&fault) {
            continue;
        }
        let without = [smallest.without.clone(), vec![fault]].concat();
        let candidate = Plan { without, ..smallest.clone() };
        if fails(&candidate) {
            smallest = candidate;
        }
    }
    simulator.run(&smallest, true)
}
