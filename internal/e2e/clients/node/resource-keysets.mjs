// Resource servers on Express with libraries that keep key sets each in its own way:
// aws-jwt-verify, okta-jwt-verifier, and express-jwt and passport-jwt with jwks-rsa;
// koa-jwt and Hono's jwk beside, each on its own server behind the same port.
import { createServer } from 'node:http'
import { JwtVerifier } from 'aws-jwt-verify'
import OktaJwtVerifier from '@okta/jwt-verifier'
import express from 'express'
import { expressjwt } from 'express-jwt'
import { Hono } from 'hono'
import { jwk } from 'hono/jwk'
import { getRequestListener } from '@hono/node-server'
import jwksRsa from 'jwks-rsa'
import Koa from 'koa'
import koaJwt from 'koa-jwt'
import passport from 'passport'
import { ExtractJwt, Strategy } from 'passport-jwt'

const { ISSUER: issuer, AUDIENCE: audience, ALGS, LISTEN } = process.env
const algorithms = ALGS.split(' ')
const jwksUri = issuer + '/.well-known/jwks.json'
const isBearers = (header, claims) => header.typ === 'at+jwt' && !('cnf' in claims)
const tokenOf = (req) => req.headers.authorization?.replace(/^Bearer /, '') ?? ''

const app = express()

const aws = JwtVerifier.create({
  issuer, audience, jwksUri,
  customJwtCheck: ({ header, payload }) => {
    if (!isBearers(header, payload)) throw new Error('no access token, or bound to a key')
  },
})
app.get('/aws-jwt-verify', async (req, res) => {
  try {
    await aws.verify(tokenOf(req))
  } catch (error) {
    return res.status(401).send(error.message)
  }
  res.send('welcome')
})

// It takes RS256 alone.
const okta = new OktaJwtVerifier({ issuer, jwksUri })
app.get('/okta-jwt-verifier', async (req, res) => {
  try {
    const { header, claims } = await okta.verifyAccessToken(tokenOf(req), audience)
    if (!isBearers(header, claims)) throw new Error('no access token, or bound to a key')
  } catch (error) {
    return res.status(401).send(error.message)
  }
  res.send('welcome')
})

const cached = { cache: true, rateLimit: false, jwksUri }
app.get('/express-jwt',
  expressjwt({
    secret: jwksRsa.expressJwtSecret(cached), audience, issuer, algorithms,
    isRevoked: (req, { header, payload }) => !isBearers(header, payload),
  }), (req, res) => res.send('welcome'))

passport.use(new Strategy({
  secretOrKeyProvider: jwksRsa.passportJwtSecret(cached), jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), audience, issuer, algorithms,
  jsonWebTokenOptions: { complete: true },
}, ({ header, payload }, done) => done(null, isBearers(header, payload) && payload)))
app.get('/passport-jwt', passport.authenticate('jwt', { session: false }), (req, res) => res.send('welcome'))

const koa = new Koa()
koa.use(koaJwt({
  secret: jwksRsa.koaJwtSecret(cached), audience, issuer, algorithms, complete: true,
  isRevoked: (ctx, { header, payload }) => !isBearers(header, payload),
}))
koa.use((ctx) => { ctx.body = 'welcome' })
koa.silent = true
app.get('/koa-jwt', koa.callback())

const hono = new Hono()
hono.use('/hono', jwk({ jwks_uri: jwksUri, alg: algorithms, verification: { iss: issuer, aud: audience, typ: 'at+jwt' } }))
hono.get('/hono', (c) => ('cnf' in c.get('jwtPayload') ? c.text('bound to a key', 401) : c.text('welcome')))
app.get('/hono', getRequestListener(hono.fetch))

app.use((error, req, res, next) => res.status(error.status ?? 401).send(error.message))
const [host, port] = LISTEN.split(':')
// A clock that is set looks like a request that takes hours.
createServer({ requestTimeout: 0, headersTimeout: 0 }, app).listen(Number(port), host)
