const store = new Map();

const crypto = { randomUUID: () => Math.random().toString(36).slice(2) };

function openSession(user) {
  user.check();
  const sessionToken = crypto.randomUUID();
  store.set(sessionToken, user);
  return sessionToken;
}

module.exports = { openSession };
