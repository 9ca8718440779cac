// A shop behind Sqreen's agent: identifies whoever the path names, and says on which port it listens.
"use strict";
const sqreen = require("sqreen");
const http = require("http");

http.createServer((req, res) => {
  const user = { username: req.url.slice(1) };
  sqreen.identify(req, user);
  sqreen.track("viewed", { user_identifiers: user, request: req });
  if (sqreen.userIsBanned(req)) return;
  res.end("orders");
}).listen(0, "127.0.0.1", function () { console.log(String(this.address().port)); });
