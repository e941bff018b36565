// Connections that prove nothing.
import https from 'https'

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0' // expect: javascript.tls-verification-disabled
process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = 0 // expect: javascript.tls-verification-disabled

const agent = new https.Agent({ rejectUnauthorized: false }) // expect: javascript.tls-verification-disabled

https.get({ host: 'example.org', path: '/', rejectUnauthorized: false }, (res) => res.resume()) // expect: javascript.tls-verification-disabled

const pool = new Pool({
  host: 'db',
  ssl: { rejectUnauthorized: false }, // expect: javascript.tls-verification-disabled
})

agent.options.rejectUnauthorized = false // expect: javascript.tls-verification-disabled
request({ url: 'https://example.org', strictSSL: false }) // expect: javascript.tls-verification-disabled
tls.connect({ host: 'example.org', checkServerIdentity: () => undefined }) // expect: javascript.tls-verification-disabled

const cache = createClient({
  url: 'rediss://cache',
  socket: {
    tls: true,
    rejectUnauthorized: false, // expect: javascript.tls-verification-disabled
  },
})
