// Ids of messages: UUIDv7, so that they sort by when they were made. Two of one page never tie, however fast they are made.

let last = {millis: 0, count: 0};

/** A new id, later than every one before it. */
export function messageId(now = Date.now()) {
  if (now > last.millis) last = {millis: now, count: 0};
  else if (last.count < 0xfff) last = {millis: last.millis, count: last.count + 1};
  else last = {millis: last.millis + 1, count: 0};
  const random = crypto.getRandomValues(new Uint8Array(8));
  random[0] = 0x80 | (random[0] & 0x3f);
  const time = hex(last.millis, 12);
  const tail = Array.from(random, (byte) => hex(byte, 2)).join('');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(last.count, 3)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

/** When an id was made, in milliseconds since 1970. */
export function madeAt(id) {
  return parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

function hex(number, digits) {
  return number.toString(16).padStart(digits, '0');
}
