// Two resource servers that check DPoP proofs, with what their libraries bring for it and
// nothing else: oauth4webapi, and express-oauth2-jwt-bearer on Express.
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import * as oauth from 'oauth4webapi'

const { ISSUER, AUDIENCE: audience, LISTEN } = process.env
const issuer = new URL(ISSUER)
const metadata = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer))

const app = express()
app.get('/oauth4webapi', async (req, res) => {
  const request = new Request('http://' + LISTEN + req.url, { headers: req.headers })
  try {
    await oauth.validateJwtAccessToken(metadata, request, audience)
  } catch (error) {
    return res.status(401).send(error.message)
  }
  res.send('welcome')
})
const byAuth = auth({ issuerBaseURL: ISSUER, audience, strict: true, dpop: { enabled: true } })
app.get('/express-oauth2-jwt-bearer', byAuth, (req, res) => res.send('welcome'))
app.use((error, req, res, next) => res.status(error.status ?? 401).send(error.message))
const [host, port] = LISTEN.split(':')
app.listen(Number(port), host)
