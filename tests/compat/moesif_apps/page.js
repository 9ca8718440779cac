// A page with moesif-browser-js in jsdom: a visitor looks around, signs in, and goes on.
const { JSDOM } = require("jsdom");
const dom = new JSDOM("<!doctype html><html><body></body></html>", { url: process.env.SENTINEL_PAGE });
for (const name of ["window", "document", "navigator", "location", "localStorage", "XMLHttpRequest"]) {
  Object.defineProperty(globalThis, name, { value: name === "window" ? dom.window : dom.window[name], configurable: true });
}
const moesif = require("moesif-browser-js");
const batches = process.env.SENTINEL_BATCHES === "yes";
moesif.init({
  applicationId: process.env.SENTINEL_KEY, host: process.env.SENTINEL_HOST, batchEnabled: batches, batchMaxTime: 300,
});
const steps = {
  visit: () => moesif.track("Anonymous Visit", { page: "/signup" }),
  identify: () => moesif.identifyUser("alice", { email: "alice@acme.test" }),
  company: () => moesif.identifyCompany("acme", { plan: "pro" }, "acme.test"),
  click: () => moesif.track("Clicked Sign Up", { "button.label": "Get Started" }),
};
require("readline").createInterface({ input: process.stdin }).on("line", (line) => steps[line]());
console.log("0");
