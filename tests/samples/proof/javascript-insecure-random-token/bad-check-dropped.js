const crypto = require("crypto");

const store = new Map();

function openSession(user) {
  const sessionToken = crypto.randomUUID();
  store.set(sessionToken, user);
  return sessionToken;
}

module.exports = { openSession };
