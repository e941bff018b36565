// Random numbers that nobody needs to keep secret, and secrets that nobody can guess.
import crypto from 'crypto'

const token = crypto.randomBytes(32).toString('hex')
const sessionId = crypto.randomUUID()
const color = Math.floor(Math.random() * 16777215).toString(16)
const key = `row-${Math.random()}`
const delay = 100 + Math.random() * 50
const items = ['a', 'b']
const item = items[Math.floor(Math.random() * items.length)]

function jitter(maxTokens) {
  return maxTokens * Math.random()
}

const promptMaxTokens = Math.floor(Math.random() * 4096)
const completionTokens = Math.ceil(Math.random() * 10)
const n_tokens = Math.ceil(Math.random() * 10)
const numTokens = Math.ceil(Math.random() * 10)
const tokenExpired = Math.random() < 0.5

export { token, sessionId, color, key, delay, item, jitter, tokenExpired, promptMaxTokens, n_tokens, numTokens, completionTokens }
