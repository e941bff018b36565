// What one writes with Probot to answer quickly and work later: verify, put into the queue in Redis, answer.
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { pino } from "pino";
import { Probot, Server } from "probot";

const queue = new Queue("deliveries", { connection: new Redis({ path: process.env.REDIS_SOCKET }) });
const log = pino({ level: "error" });
const server = new Server({
  log,
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  Probot: Probot.defaults({
    appId: 1,
    privateKey: process.env.APP_KEY,
    secret: process.env.WEBHOOK_SECRET,
    log,
  }),
});
await server.load((app) => {
  app.onAny(async ({ id, name, payload }) => {
    await queue.add(name, payload, { jobId: id, removeOnComplete: true });
  });
});
await server.start();
