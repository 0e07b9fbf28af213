// The service worker: shows what a push says, takes it away when it was read elsewhere, and leads to the conversation. It connects to
// nothing and keeps nothing: what a push tells is that something is there, and the page fetches it.
//
// A push is `{"user", "id", "conversation": {"user"} | {"group"} | null, "badge", "kind": "message" | "silent", "preview"?}`.

self.addEventListener('install', () => self.skipWaiting());

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('push', (event) => event.waitUntil(take(contentOf(event.data))));

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(lead(event.notification.tag));
});

/** What a push says; one that cannot be read says at least that there is something. */
function contentOf(data) {
  try {
    const content = data.json();
    if (typeof content === 'object' && content !== null) return content;
  } catch {
    // As below.
  }
  return {user: '', conversation: null, badge: 1, kind: 'message'};
}

async function take({user, conversation, badge, kind, preview}) {
  const tag = tagOf(user, conversation);
  await Promise.all([
    // What an app's icon shows is not worth a notification that is not shown.
    self.navigator.setAppBadge?.(badge).catch(() => {}),
    kind === 'silent' ? close(user, conversation && tag, badge === 0) : show(tag, conversation, badge, preview),
  ]);
}

/** Shows it in place of what was shown of the same conversation. */
function show(tag, conversation, badge, preview) {
  const text = typeof preview?.body === 'string' ? `${preview.from}: ${preview.body}` : null;
  const where = conversation?.group ?? conversation?.user;
  return self.registration.showNotification(badge > 1 ? `${badge} new messages` : 'New message', {
    tag,
    body: text ?? (where === undefined ? '' : conversation.group === undefined ? `From ${where}` : `In ${where}`),
    icon: '/icon.svg',
    renotify: true,
  });
}

/** Takes away what is shown of a conversation of which nothing is left, if one is named, or everything of a user. */
async function close(user, tag, everything) {
  for (const shown of await self.registration.getNotifications()) {
    const isOf = everything && new URLSearchParams(shown.tag).get('as') === user;
    if (isOf || shown.tag === tag) shown.close();
  }
}

/** To the window that is open as this user already, or a new one. */
async function lead(tag) {
  const user = new URLSearchParams(tag).get('as');
  for (const page of await self.clients.matchAll({type: 'window', includeUncontrolled: true})) {
    if (new URLSearchParams(new URL(page.url).hash.slice(1)).get('as') !== user) continue;
    page.postMessage({open: tag});
    return page.focus();
  }
  return self.clients.openWindow(`/#${tag}`);
}

/** The page's fragment for a conversation, such as `as=bob&user=alice`. */
function tagOf(user, conversation) {
  return new URLSearchParams({as: user, ...conversation}).toString();
}
