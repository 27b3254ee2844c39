// Holds a session that is bound to a key, with openid-client and then with
// oauth4webapi, from the issuer's URL. The first answer to each refresh is lost on
// the way. What the session's access tokens open is checked by resource servers that
// verify with oauth4webapi and express-oauth2-jwt-bearer. It reads what to do from
// standard input and prints what it met.
import { strict as assert } from 'node:assert'
import { text } from 'node:stream/consumers'
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import { calculateJwkThumbprint, exportJWK, decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

const ask = JSON.parse(await text(process.stdin))
const issuer = new URL(ask.issuer)
const login = { username: ask.username, password: ask.password }
const result = { bound: {}, lost: 0, refused: {} }
const thumbprint = async (pair) => calculateJwkThumbprint(await exportJWK(pair.publicKey))

// A resource server for each library.
const metadata = (await client.discovery(issuer, ask.client_id, undefined, client.None())).serverMetadata()
const app = express()
app.get('/oauth4webapi', async (req, res) => {
  const request = new Request(api + '/oauth4webapi', { headers: req.headers })
  try {
    const claims = await oauth.validateJwtAccessToken(metadata, request, ask.audience, { requireDPoP: true })
    res.json(claims.cnf)
  } catch (error) {
    res.status(401).send(error.message)
  }
})
app.get(
  '/express-oauth2-jwt-bearer',
  auth({ issuerBaseURL: ask.issuer, audience: ask.audience, strict: true, dpop: { required: true } }),
  (req, res) => res.json(req.auth.payload.cnf),
)
app.use((error, req, res, next) => res.status(error.status ?? 500).send(error.message))
const listening = app.listen(0, '127.0.0.1')
await new Promise((up) => listening.once('listening', up))
const api = 'http://127.0.0.1:' + listening.address().port
const servers = ['/oauth4webapi', '/express-oauth2-jwt-bearer']

const asBearer = (token, path) =>
  fetch(api + path, { headers: { authorization: `Bearer ${token}` } }).then((answer) => answer.status)

// openid-client, as a public client.
{
  const config = await client.discovery(issuer, ask.client_id, undefined, client.None())
  client.allowInsecureRequests(config) // of the resource servers above
  const pair = await client.randomDPoPKeyPair('ES256', { extractable: false })
  const DPoP = client.getDPoPHandle(config, pair)
  const refresh = (token, options) =>
    client.refreshTokenGrant(config, token, undefined, options).catch((error) => {
      if (error instanceof client.ResponseBodyError) throw error
      result.lost++
      return client.refreshTokenGrant(config, token, undefined, options)
    })
  let tokens = await client.genericGrantRequest(config, 'password', login, { DPoP })
  for (let i = 0; i < 2; i++) tokens = await refresh(tokens.refresh_token, { DPoP })
  assert.equal(tokens.token_type, 'dpop')
  assert.equal(decodeJwt(tokens.access_token).cnf.jkt, await thumbprint(pair))
  await client.fetchUserInfo(config, tokens.access_token, client.skipSubjectCheck, { DPoP })
  for (const path of servers) {
    const answer = await client.fetchProtectedResource(
      config, tokens.access_token, new URL(api + path), 'GET', null, undefined, { DPoP },
    )
    assert.equal(answer.status, 200, path + ': ' + (await answer.clone().text()))
    assert.equal((await answer.json()).jkt, await thumbprint(pair))
    assert([400, 401].includes(await asBearer(tokens.access_token, path)), path)
  }
  const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const refused = (options) => refresh(tokens.refresh_token, options).then(() => 'nothing', (error) => error.error)
  result.refused.unproven = await refused(undefined)
  result.refused.foreign = await refused({ DPoP: other })
  tokens = await refresh(tokens.refresh_token, { DPoP })
  await client.tokenRevocation(config, tokens.refresh_token)
  result.refused.revoked = await refused({ DPoP })
  result.bound['openid-client'] = tokens.token_type
}

// oauth4webapi, with every algorithm that it has.
for (const alg of ['ES256', 'RS256', 'PS256', 'Ed25519']) {
  const as = metadata
  const me = { client_id: ask.client_id }
  const pair = await oauth.generateKeyPair(alg, { extractable: false })
  const DPoP = oauth.DPoP(me, pair)
  // again asks once more where the answer was lost, or a nonce is asked for.
  const again = async (request, process) => {
    for (;;) {
      try {
        return await process(await request())
      } catch (error) {
        if (error instanceof TypeError && error.message === 'fetch failed') result.lost++
        else if (!oauth.isDPoPNonceError(error)) throw error
        else result.nonces = (result.nonces ?? 0) + 1
      }
    }
  }
  let tokens = await again(
    () => oauth.genericTokenEndpointRequest(as, me, oauth.None(), 'password', login, { DPoP }),
    (answer) => oauth.processGenericTokenEndpointResponse(as, me, answer),
  )
  tokens = await again(
    () => oauth.refreshTokenGrantRequest(as, me, oauth.None(), tokens.refresh_token, { DPoP }),
    (answer) => oauth.processRefreshTokenResponse(as, me, answer),
  )
  assert.equal(decodeJwt(tokens.access_token).cnf.jkt, await thumbprint(pair))
  const who = await again(
    () => oauth.userInfoRequest(as, me, tokens.access_token, { DPoP }),
    (answer) => oauth.processUserInfoResponse(as, me, oauth.skipSubjectCheck, answer),
  )
  assert.equal(who.sub, decodeJwt(tokens.access_token).sub)
  result.bound['oauth4webapi ' + alg] = tokens.token_type
}

listening.close()
process.stdout.write(JSON.stringify(result))
