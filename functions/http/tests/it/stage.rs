//! The function with a group in it: `team`, of alice, its admin, and bob. It asserts nothing but that requests are answered.

use std::time::Duration;

use delivery::group::Role;
use delivery::{AttachmentRules, Group, Groups, Member};
use http::Http;
use protocol::{GroupId, GroupName, UserId};
use route::Answers;
use serde_json::{Value, json};
use testkit::{
    Clock, MemoryAttachments, MemoryConnections, MemoryDirectory, MemoryFiles, MemoryGroups, MemoryInbox, MemoryQueue,
};

/// The function and its clock.
pub(crate) struct Stage<G = MemoryGroups> {
    pub(crate) clock: Clock,
    pub(crate) function:
        Http<MemoryInbox, MemoryDirectory, G, MemoryQueue, MemoryAttachments, MemoryConnections, MemoryFiles>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) headers: Value,
    /// Null if there is none.
    pub(crate) body: Value,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let groups = MemoryGroups::default();
        let stage = Self::on(groups.clone());
        groups.insert(team(&stage.clock, &["alice", "bob"]));
        stage
    }
}

impl<G: Groups> Stage<G> {
    pub(crate) fn on(groups: G) -> Self {
        let clock = Clock::default();
        let (inbox, queue) = (MemoryInbox::default(), MemoryQueue::new(clock.clone()));
        let answers = Answers { inbox, groups, queue, attachments: MemoryAttachments::default() };
        let (directory, connections) = (MemoryDirectory::default(), MemoryConnections::default());
        let (files, attachment_rules) = (MemoryFiles::default(), AttachmentRules::default());
        let vapid_public_key = None;
        Self { function: Http { answers, directory, connections, files, attachment_rules, vapid_public_key }, clock }
    }

    /// What `user` is answered. A body that is a string is sent as its text, anything but null as JSON.
    pub(crate) async fn ask(&self, user: &str, method: &str, target: &str, body: &Value) -> Answer {
        let answer = self.function.handle(event(user, method, target, body), self.clock.invocation()).await;
        let answer = answer.expect("an answer");
        let body = answer.get("body").and_then(Value::as_str);
        Answer {
            status: answer["statusCode"].as_u64().expect("a status"),
            headers: answer["headers"].clone(),
            body: body.map_or(Value::Null, |body| serde_json::from_str(body).expect("JSON")),
        }
    }
}

/// The event of a request.
pub(crate) fn event(user: &str, method: &str, target: &str, body: &Value) -> Value {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "authorizer": {"jwt": {"claims": {"sub": user}, "scopes": null}},
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "stage": "$default",
        },
        "isBase64Encoded": false,
    });
    if !body.is_null() {
        event["body"] = body.as_str().map_or_else(|| body.to_string(), str::to_owned).into();
    }
    event
}

pub(crate) fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

pub(crate) fn id(group: &str) -> GroupId {
    group.parse().expect("a group")
}

/// The group `team` of these users, one joined after the other, the first its admin.
pub(crate) fn team(clock: &Clock, users: &[&str]) -> Group {
    let mut joined_at = clock.now().minus(Duration::from_secs(86_400));
    let members = users.iter().enumerate().map(|(n, name)| {
        joined_at = joined_at.plus(Duration::from_secs(1));
        Member { user: user(name), role: if n == 0 { Role::Admin } else { Role::Member }, joined_at }
    });
    let name = GroupName::try_from("Team".to_owned()).expect("a name");
    let members = members.collect();
    Group::new(id("team"), name, 7, members)
}
