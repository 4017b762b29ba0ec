// What every server on Node here shares: the schema, the clear documents and the resolvers over them.
import { MongoClient } from "mongodb";

export const port = Number(process.env.BENCHMARK_PORT);
export const typeDefs = process.env.BENCHMARK_SDL;

const client = new MongoClient(process.env.BENCHMARK_URI);
const profiles = client.db("benchmark").collection("clear_profiles");

const named = (document) => ({
  id: document._id,
  givenName: document.given_name,
  familyName: document.family_name,
  email: document.email,
  phone: document.phone,
  street: document.street,
  city: document.city,
  country: document.country,
  language: document.language,
  loyaltyTier: document.loyalty_tier,
  totalSpent: document.total_spent,
  orderCount: document.order_count,
});

export const resolvers = {
  Query: {
    profile: async (_, { id }) => {
      const found = await profiles.findOne({ _id: id });
      return found && named(found);
    },
    profiles: async (_, { first }) => {
      // With both ends: the embedded engine does not push a limit down, and this favours nobody.
      const window = { seq: { $gt: 0, $lte: 2 * first } };
      const found = await profiles.find(window).sort({ seq: 1 }).limit(first).toArray();
      return { nodes: found.map(named) };
    },
  },
};
