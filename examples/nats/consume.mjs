// Consume the changes of one organization's relationships from NATS, each once and in order, with Node.
//
//   node consume.mjs nats://127.0.0.1:4222 acme state.json
//
// The state holds the effects and the number of the last change. It is written to a new file that takes the place of
// the old one, so both move or neither does. A real consumer would keep both in one transaction of its database.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { AckPolicy, connect, DeliverPolicy, nanos } from "nats";

const STREAM = "RAPPORT_CHANGES";
const [, , servers, organization, path, idleMs = "10000"] = process.argv;

function load() {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return { last: 0, effects: [] };
  }
}

function save(state) {
  writeFileSync(`${path}.new`, JSON.stringify(state), { flush: true });
  renameSync(`${path}.new`, path);
}

// Return the state after a change: pure, so that it can be made anew.
function applied(state, number, headers) {
  const effect = `${headers.get("ce-subject")} ${headers.get("ce-type")} at ${headers.get("ce-time")}`;
  return { last: number, effects: [...state.effects, effect] };
}

const connection = await connect({ servers, maxReconnectAttempts: -1 });
const manager = await connection.jetstreamManager();
const durable = `node-${organization}`;
await manager.consumers.add(STREAM, {
  durable_name: durable,
  filter_subject: `rapport.relationship.v1.${organization}.>`,
  deliver_policy: DeliverPolicy.All,
  ack_policy: AckPolicy.Explicit,
  ack_wait: nanos(60_000),
  max_ack_pending: 1, // With two under way, one that is sent again would come after the other.
});
const consumer = await connection.jetstream().consumers.get(STREAM, durable);

let state = load();
let exitCode = 0;
for (;;) {
  const message = await consumer.next({ expires: Number(idleMs) });
  if (message === null) break; // Silence. A real consumer goes on, and now and then asks the service for what is beyond.
  const number = Number(message.headers.get("Rapport-Number"));
  const previous = Number(message.headers.get("Rapport-Prev-Number"));
  if (number <= state.last) {
    message.ack(); // It came before.
    continue;
  }
  if (previous > state.last) {
    // Something is missing, or the changes between are of other organizations: ChangeService.ListChanges knows.
    console.log(`hole: list the changes after ${state.last}, up to ${number}`);
    message.nak();
    exitCode = 3;
    break;
  }
  const next = applied(state, number, message.headers);
  save(next);
  state = next;
  await message.ackAck(); // Only now: what is not acknowledged comes again.
  console.log(`${number}: ${state.effects.at(-1)}`);
}
await connection.close();
process.exit(exitCode);
