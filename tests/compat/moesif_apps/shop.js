// A shop in Express behind moesif-nodejs: who asks stands in X-User and X-Company.
const express = require("express");
const moesif = require("moesif-nodejs")({
  applicationId: process.env.SENTINEL_KEY,
  baseUri: process.env.SENTINEL_URL,
  batchMaxTime: 501,
  identifyUser: (req) => req.headers["x-user"],
  identifyCompany: (req) => req.headers["x-company"],
  getMetadata: () => ({ "so.me_str.ing": "I am a string" }),
});

const app = express();
app.use(moesif);
app.get("/profile", async (req, res) => {
  await moesif.updateUser({ userId: "alice", companyId: "acme", metadata: { "first.name": "Alice" } });
  await moesif.updateUsersBatch([{ userId: "carol" }]);
  await moesif.updateCompany({ companyId: "acme", companyDomain: "acme.test" });
  await moesif.sendAction({
    actionName: "Clicked Sign Up", userId: "alice", metadata: { "button.label": "Go" },
    request: { time: new Date(), uri: "https://shop.example/", ipAddress: "203.0.113.9" },
  });
  res.json({ ok: true });
});
app.get("/orders", (req, res) => res.json({ ok: true }));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
