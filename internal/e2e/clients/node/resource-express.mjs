// Two resource servers on Express that accept the access tokens of one issuer:
// with jose, and with express-oauth2-jwt-bearer.
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { ISSUER: issuer, AUDIENCE: audience, ALGS, LISTEN, CACHE_SECONDS } = process.env
const algorithms = ALGS.split(' ')
const cache = CACHE_SECONDS && { cacheMaxAge: CACHE_SECONDS * 1000, cooldownDuration: 0 }

const keys = createRemoteJWKSet(new URL(issuer + '/.well-known/jwks.json'), { ...cache })
const byJose = async (req, res, next) => {
  const token = req.headers.authorization?.replace(/^Bearer /, '')
  try {
    const { payload } = await jwtVerify(token ?? '', keys, { issuer, audience, algorithms, typ: 'at+jwt' })
    if ('cnf' in payload) throw new Error('bound to a key')
  } catch (error) {
    return res.status(401).send(error.message)
  }
  next()
}
const byAuth = auth({ issuerBaseURL: issuer, audience, strict: true, ...cache })

const app = express()
app.get('/jose-express', byJose, (req, res) => res.send('welcome'))
app.get('/express-oauth2-jwt-bearer', byAuth, (req, res) => res.send('welcome'))
app.use((error, req, res, next) => res.status(error.status ?? 500).send(error.message))
const [host, port] = LISTEN.split(':')
app.listen(Number(port), host)
