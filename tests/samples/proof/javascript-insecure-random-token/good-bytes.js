const crypto = require("crypto");

const store = new Map();

function openSession(user) {
  user.check();
  const sessionToken = crypto.randomBytes(16).toString("hex");
  store.set(sessionToken, user);
  return sessionToken;
}

module.exports = { openSession };
