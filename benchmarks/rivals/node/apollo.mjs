// Apollo Server as its documentation shows it, with no privacy.
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import { port, resolvers, typeDefs } from "./documents.mjs";

const server = new ApolloServer({ typeDefs, resolvers });
await startStandaloneServer(server, { listen: { host: "127.0.0.1", port } });
