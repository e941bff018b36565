const https = require("https");

function fetchRates(url, done) {
  https.get(url, { rejectUnauthorized: true }, done);
}

module.exports = { fetchRates };
