//! The chat page as a browser gets it: its files with their types and what a page may do, and tokens for itself alone. That it works in a
//! browser is for `tests/page` to show.

use serde_json::{Value, json};

use crate::support::{Client, in_memory, within};

/// Everything that is served, by its type.
const FILES: [(&str, &str); 13] = [
    ("/", "text/html; charset=utf-8"),
    ("/chat.css", "text/css; charset=utf-8"),
    ("/icon.svg", "image/svg+xml"),
    ("/manifest.webmanifest", "application/manifest+json"),
    ("/account.js", "text/javascript; charset=utf-8"),
    ("/chat.js", "text/javascript; charset=utf-8"),
    ("/connection.js", "text/javascript; charset=utf-8"),
    ("/history.js", "text/javascript; charset=utf-8"),
    ("/message_id.js", "text/javascript; charset=utf-8"),
    ("/push.js", "text/javascript; charset=utf-8"),
    ("/reads.js", "text/javascript; charset=utf-8"),
    ("/sw.js", "text/javascript; charset=utf-8"),
    ("/view.js", "text/javascript; charset=utf-8"),
];

async fn ask(request: reqwest::RequestBuilder) -> reqwest::Response {
    within("an answer", request.send()).await.expect("an answer")
}

#[tokio::test]
async fn the_page_is_served_with_types_and_a_policy() {
    let (running, _folder) = in_memory().await;
    let client = reqwest::Client::new();
    let mut served = String::new();
    for (path, media_type) in FILES {
        let response = ask(client.get(format!("{}{path}", running.ready.http))).await;
        assert_eq!(response.status(), 200, "{path}");
        let header =
            |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(header("content-type"), media_type, "{path}");
        assert_eq!((header("cache-control"), header("x-content-type-options")), ("no-cache", "nosniff"), "{path}");
        let policy = header("content-security-policy").to_owned();
        for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.split("; ").any(|part| part == rule), "{path}: {rule}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        served += &within("a text", response.text()).await.expect("a text");
    }
    // What the files name of each other is among them.
    let named = served.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css"));
    for name in named {
        let path = name.trim_start_matches('.');
        assert!(FILES.iter().any(|(served, _)| *served == path), "{name} is not served");
    }
}

#[tokio::test]
async fn what_is_not_of_the_page_is_refused() {
    let (running, _folder) = in_memory().await;
    let client = reqwest::Client::new();
    let base = &running.ready.http;
    for path in ["/index.html", "/chat.js/", "/web/chat.js", "/..%2fCargo.toml", "/nothing.js"] {
        assert_eq!(ask(client.get(format!("{base}{path}"))).await.status(), 404, "{path}");
    }
    for (path, _) in FILES {
        for method in [reqwest::Method::POST, reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::OPTIONS] {
            let response = ask(client.request(method.clone(), format!("{base}{path}"))).await;
            assert_eq!(response.status(), 405, "{method} {path}");
            assert_eq!(response.headers()["allow"], "GET,HEAD");
        }
    }
}

#[tokio::test]
async fn a_token_opens_the_socket_as_the_user_that_was_named() {
    let (running, _folder) = in_memory().await;
    let url = format!("{}/_local/tokens", running.ready.http);
    let before = lambda::start::invocation().now.as_millis();
    let response = ask(reqwest::Client::new().post(&url).body(r#"{"user":"auth0|alice"}"#)).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let minted: Value = within("JSON", response.json()).await.expect("JSON");
    let lifetime = minted["expires_at"].as_u64().expect("a time") - before;
    assert!((3_599_000..=3_660_000).contains(&lifetime), "{lifetime} ms");
    let token = minted["token"].as_str().expect("a token");
    let groups = ask(reqwest::Client::new().get(format!("{}/v1/groups", running.ready.http)).bearer_auth(token)).await;
    assert_eq!(groups.status(), 200);
    let socket = format!("{}?device=page&access_token={token}", running.ready.ws);
    let mut alice = Client::connect_to(socket).await;
    alice.next_of("drained").await;
    let mut other = Client::connect(&running.ready, "auth0|alice", "page").await;
    assert_eq!(alice.next_of("error").await["code"], "displaced", "it is the same user");
    other.next_of("drained").await;

    for bad in ["", "{}", "alice", r#"{"user":"no good"}"#, r#"{"user":"alice","ttl":1}"#] {
        let response = ask(reqwest::Client::new().post(&url).body(bad)).await;
        assert_eq!(response.status(), 400, "{bad}");
        let text = within("a text", response.text()).await.expect("a text");
        assert!(text.contains(r#"{"user":"alice"}"#), "{text}");
    }
    assert_eq!(ask(reqwest::Client::new().get(&url)).await.status(), 405);
}

#[tokio::test]
async fn tokens_are_for_the_own_origin_alone() {
    let (running, _folder) = in_memory().await;
    let base = running.ready.http.as_str();
    let address = base.trim_start_matches("http://");
    let port = address.rsplit(':').next().expect("a port");
    let rebound = format!("evil.example:{port}");
    for (host, origin, status) in [
        (address, Some(base), 200),
        (address, None, 200),
        (address, Some("http://evil.example"), 403),
        (address, Some("http://localhost:3000"), 403),
        (address, Some("null"), 403),
        (rebound.as_str(), Some(&*format!("http://{rebound}")), 403),
        (rebound.as_str(), None, 403),
    ] {
        // A page may send this without asking first.
        let mut request = reqwest::Client::new().post(format!("{base}/_local/tokens")).header("host", host);
        request = request.header("content-type", "text/plain").body(json!({"user": "alice"}).to_string());
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = ask(request).await;
        assert_eq!(response.status(), status, "{host} {origin:?}");
        // And no answer is for another page to read.
        assert!(!response.headers().contains_key("access-control-allow-origin"), "{host} {origin:?}");
        let text = within("a text", response.text()).await.expect("a text");
        assert_eq!(text.contains("token"), status == 200, "{text}");
    }
}
