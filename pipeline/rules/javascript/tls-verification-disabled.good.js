// Connections whose certificates are checked.
import fs from 'fs'
import https from 'https'

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '1'

const agent = new https.Agent({ rejectUnauthorized: true, ca: fs.readFileSync('own.pem') })
const configured = new https.Agent({ rejectUnauthorized: process.env.NODE_ENV === 'production' })

https.get({ host: 'example.org', agent }, (res) => res.resume())
delete process.env.NODE_TLS_REJECT_UNAUTHORIZED

export { configured }
