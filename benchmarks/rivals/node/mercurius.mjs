// Mercurius on Fastify with its just-in-time compiler, with no privacy.
import Fastify from "fastify";
import mercurius from "mercurius";
import { port, resolvers, typeDefs } from "./documents.mjs";

const app = Fastify();
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1 });
await app.listen({ host: "127.0.0.1", port });
