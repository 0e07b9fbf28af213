//! The chat page: the files of `web`, as they are, with what a browser has to know to keep strangers out of them. What the page does is
//! there; whom it may speak for is for `tokens` to say.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::routing::get;

/// Nothing that is not one of the files below is loaded, run or framed, and nobody but this server is spoken to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; \
    worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// One file.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// A script under its own name.
macro_rules! script {
    ($name:literal) => {
        Asset { path: concat!("/", $name), media_type: SCRIPT, text: include_str!(concat!("../web/", $name)) }
    };
}

const ASSETS: &[Asset] = &[
    Asset { path: "/", media_type: "text/html; charset=utf-8", text: include_str!("../web/index.html") },
    Asset { path: "/chat.css", media_type: "text/css; charset=utf-8", text: include_str!("../web/chat.css") },
    Asset { path: "/icon.svg", media_type: "image/svg+xml", text: include_str!("../web/icon.svg") },
    Asset {
        path: "/manifest.webmanifest",
        media_type: "application/manifest+json",
        text: include_str!("../web/manifest.webmanifest"),
    },
    script!("account.js"),
    script!("chat.js"),
    script!("connection.js"),
    script!("history.js"),
    script!("message_id.js"),
    script!("push.js"),
    script!("reads.js"),
    // At the top, since a service worker has its own folder and what is below it.
    script!("sw.js"),
    script!("view.js"),
];

/// The routes of the page.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, Asset { path, media_type, text }| {
        let headers = [
            (CONTENT_TYPE, *media_type),
            // A page of yesterday's server would speak yesterday's protocol.
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        router.route(path, get(async move || (headers, *text)))
    })
}
