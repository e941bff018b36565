const https = require("https");

function fetchRates(url, done) {
  if (!url) {
    throw new Error("no url");
  }
  https.get(url, { rejectUnauthorized: !1 }, done);
}

module.exports = { fetchRates };
