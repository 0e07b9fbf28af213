//! A client of the server that this one replaces, and a current one.

use blackbox::{Deployment, Device, Frame, Socket, clock};
use serde_json::{Value, json};
use tokio::join;

/// The next frame of an old client's that has this id; it knows no other type.
async fn told(device: &mut Device, id: &str) -> Value {
    let named = |frame: &Frame| match frame {
        Frame::Unknown(text) => serde_json::from_str::<Value>(text).is_ok_and(|frame| frame["id"] == id),
        _ => false,
    };
    match device.frame(&format!("the old frame {id}"), named).await.frame {
        Frame::Unknown(text) => serde_json::from_str(&text).expect("JSON"),
        other => unreachable!("{other:?} was looked for"),
    }
}

pub(crate) async fn an_old_client_and_a_current_one_talk_to_each_other(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let mut phone = bob.online("phone").await;
    let opened = Socket::open(&cloud.url("client=legacy&ack=true"), Some(&alice.token)).await;
    let mut old = Device::new(opened.expect("an old client is let in"));
    // Whatever it says of its sender counts for nothing.
    let head = json!({"type": "individual", "to": bob.id, "from": "mallory", "contentType": "text"});
    let meta = json!({"createdAt": clock::now(&mut phone, &bob).await});
    let hi = json!({"_v": 2.1, "id": "a1", "head": head, "meta": meta, "body": {"text": "hi"}});
    // Sent again it is the same message.
    for _ in 0..2 {
        old.say(&hi).await;
        assert_eq!(told(&mut old, "a1").await["head"]["contentType"], "SERVER_ACK");
    }
    let what = "what the old client sent";
    let envelope = phone.envelope(what, blackbox::DEADLINE, |one| one.body["id"] == "a1").await.envelope;
    assert_eq!((&envelope.from, &envelope.body["body"]["text"]), (&alice.id, &json!("hi")));
    phone.ack(&[envelope]).await;
    phone.nothing_pending().await;

    let id = phone.send_one(&alice.message("hi yourself")).await;
    let answer = told(&mut old, &id).await;
    assert_eq!((&answer["head"]["from"], &answer["body"]["text"]), (&json!(bob.id), &json!("hi yourself")), "{answer}");
    let head = json!({"type": "individual", "contentType": "CLIENT_ACK", "to": bob.id, "from": alice.id});
    old.say(&json!({"_v": 2.1, "id": id, "head": head})).await;
    old.close().await;
}
