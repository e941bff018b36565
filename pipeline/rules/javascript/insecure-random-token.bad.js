// Secrets that can be guessed.
const token = Math.random().toString(36).slice(2) // expect: javascript.insecure-random-token
const sessionId = 'sess_' + Math.random().toString(16) // expect: javascript.insecure-random-token

function generateToken(length) {
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  let out = ''
  for (let i = 0; i < length; i++) {
    out += letters.charAt(Math.floor(Math.random() * letters.length)) // expect: javascript.insecure-random-token
  }
  return out
}

const resetCode = () => Math.floor(100000 + Math.random() * 900000) // expect: javascript.insecure-random-token

function register(user) {
  user.apiKey = Math.random().toString(36) // expect: javascript.insecure-random-token
  return save({ name: user.name, password: Math.random().toString(36) }) // expect: javascript.insecure-random-token
}

const sessionToken = Math.random().toString(36) // expect: javascript.insecure-random-token
const adminToken = `${Date.now()}-${Math.random()}` // expect: javascript.insecure-random-token
const latest_token = Math.random().toString(16) // expect: javascript.insecure-random-token
