const store = new Map();

function openSession(user) {
  user.check();
  const sessionToken = "0123456789";
  store.set(sessionToken, user);
  return sessionToken;
}

module.exports = { openSession };
