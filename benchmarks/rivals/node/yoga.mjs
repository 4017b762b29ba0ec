// GraphQL Yoga as its documentation shows it, with no privacy.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { port, resolvers, typeDefs } from "./documents.mjs";

createServer(createYoga({ schema: createSchema({ typeDefs, resolvers }) })).listen(port, "127.0.0.1");
