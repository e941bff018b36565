const store = new Map();

function openSession(user) {
  user.check();
  const pick = Math.random;
  const sessionToken = pick().toString(36).slice(2);
  store.set(sessionToken, user);
  return sessionToken;
}

module.exports = { openSession };
