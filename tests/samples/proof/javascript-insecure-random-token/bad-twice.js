const store = new Map();

function openSession(user) {
  user.check();
  const sessionToken = Math.random().toString(36).slice(2) + Math.random().toString(36).slice(2);
  store.set(sessionToken, user);
  return sessionToken;
}

module.exports = { openSession };
