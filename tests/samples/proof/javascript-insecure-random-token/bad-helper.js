const store = new Map();

function pick() {
  return Math.random().toString(36).slice(2);
}

function openSession(user) {
  user.check();
  const sessionToken = pick();
  store.set(sessionToken, user);
  return sessionToken;
}

module.exports = { openSession };
