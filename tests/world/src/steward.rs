//! Whoever changes the group: users who add, remove, appoint and rename over HTTP, and ask again until they are answered. What a change comes
//! to is not judged here.

use std::sync::Arc;
use std::time::Duration;

use protocol::{GroupId, UserId};
use serde_json::{Value, json};
use testkit::events::http;

use crate::fault::Fault;
use crate::functions::{Function, Functions};
use crate::plan::ACTIVE;
use crate::world::World;

/// Most changes in one run.
const CHANGES: u64 = 8;

/// Makes some changes, at times drawn from the whole run.
pub(crate) async fn serve(world: Arc<World>, functions: Arc<Functions>, group: GroupId, users: Vec<UserId>) {
    if !world.strikes(Fault::Regroup) {
        return;
    }
    let mut moments: Vec<Duration> =
        (0..world.draw(1..CHANGES)).map(|_| Duration::from_secs(world.draw(0..ACTIVE.as_secs()))).collect();
    moments.sort_unstable();
    for moment in moments {
        tokio::time::sleep(moment.saturating_sub(world.elapsed())).await;
        let any = || &users[world.pick(users.len())];
        let event = change(&world, &group, any(), any());
        // One at a time, or those who ask again would be at it together with those who come later. Two at once is seldom.
        let asked = ask(Arc::clone(&world), Arc::clone(&functions), event);
        if world.draw(0..4) == 0 {
            tokio::spawn(asked);
        } else {
            asked.await;
        }
    }
}

/// Asks until there is an answer that is not "later".
async fn ask(world: Arc<World>, functions: Arc<Functions>, event: Value) {
    while !world.is_quiet() {
        let ended = functions.invoke(Function::Http, event.clone(), 0).await;
        if ended.answer.is_some_and(|answer| answer["statusCode"].as_u64().is_some_and(|status| status < 500)) {
            return;
        }
        world.pause(500..5_000).await;
    }
}

/// An event of the HTTP API by which `actor` asks for something about `user`.
fn change(world: &World, group: &GroupId, actor: &UserId, user: &UserId) -> Value {
    let group = format!("/v1/groups/{group}");
    let role = if world.draw(0..2) == 0 { "admin" } else { "member" };
    let (method, path, body) = match world.draw(0..5) {
        0 => ("PATCH", group, json!({"name": format!("Crew {}", world.draw(0..3))})),
        1 => ("POST", format!("{group}/members"), json!({"users": [user]})),
        2 => ("DELETE", format!("{group}/members/{user}"), Value::Null),
        3 => ("DELETE", format!("{group}/members/{actor}"), Value::Null),
        _ => ("PUT", format!("{group}/members/{user}"), json!({"role": role})),
    };
    http(actor, method, &path, "", Some(&body).filter(|body| !body.is_null()))
}
