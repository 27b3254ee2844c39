// Uses a Keyturn server as JavaScript programs do: openid-client gets, checks
// and revokes tokens, jose and oauth4webapi verify them, all from the issuer's
// URL alone. The first answer to each refresh is lost on the way. It reads what to do from standard input and prints what the
// verifiers read in the tokens.
import { strict as assert } from 'node:assert'
import { text } from 'node:stream/consumers'
import { createRemoteJWKSet, decodeJwt, importPKCS8, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

const ask = JSON.parse(await text(process.stdin))
const authentication = ask.client_secret
  ? client.ClientSecretBasic(ask.client_secret)
  : client.None()

// discover reads the metadata of one of the two well-known paths.
const discover = (algorithm, id = ask.client_id, by = authentication) =>
  client.discovery(new URL(ask.issuer), id, undefined, by, { algorithm })

let lost = 0
// refresh asks once more where the answer did not arrive.
const refresh = (token) =>
  client.refreshTokenGrant(config, token).catch((error) => {
    if (error instanceof client.ResponseBodyError) throw error
    lost++
    return client.refreshTokenGrant(config, token)
  })

const config = await discover('oidc')
const metadata = config.serverMetadata()
assert.deepEqual((await discover('oauth2')).serverMetadata(), metadata)

const login = await client.genericGrantRequest(config, 'password', {
  username: ask.username,
  password: ask.password,
})
const tokens = { password: login.access_token }
let refreshed = login
const spent = new Set([login.refresh_token])
for (let i = 0; i < 3; i++) {
  refreshed = await refresh(refreshed.refresh_token)
  assert(!spent.has(refreshed.refresh_token), 'the refresh token did not change')
  spent.add(refreshed.refresh_token)
}
tokens.refresh_token = refreshed.access_token
if (ask.client_secret) {
  tokens.client_credentials = (await client.clientCredentialsGrant(config)).access_token
}
const did = Object.keys(tokens)

const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
const result = { jose: {}, oauth4webapi: {}, refreshes: spent.size - 1, lost, did }
for (const [name, token] of Object.entries(tokens)) {
  const verified = await jwtVerify(token, keys, {
    issuer: ask.issuer,
    audience: ask.audience,
    typ: 'at+jwt',
    algorithms: [ask.alg],
    requiredClaims: ['sub', 'iat', 'exp', 'jti', 'client_id'],
  })
  result.jose[name] = verified.payload
  // A resource server of RFC 9068, with the access token in the header.
  const request = new Request(ask.audience, { headers: { authorization: `Bearer ${token}` } })
  result.oauth4webapi[name] = await oauth.validateJwtAccessToken(metadata, request, ask.audience)
}
result.userinfo = await client.fetchUserInfo(config, refreshed.access_token, result.jose.password.sub)

// Introspection and the revocation of the refresh token, which ends the
// session and its access tokens.
if (ask.client_secret) {
  const active = async (token) => (await client.tokenIntrospection(config, token)).active
  assert.equal(await active(refreshed.access_token), true)
  assert.equal(await active(refreshed.refresh_token), true)
  await client.tokenRevocation(config, refreshed.refresh_token)
  assert.equal(await active(refreshed.access_token), false)
  assert.equal(await active(refreshed.refresh_token), false)
  assert.equal(await active(tokens.client_credentials), true)
} else {
  await client.tokenRevocation(config, refreshed.refresh_token)
}
// A client with a key of its own asks for itself, for one resource of two.
const key = await importPKCS8(ask.private_keys.ES256, 'ES256')
const keyed = await discover('oidc', ask.keyed_id, client.PrivateKeyJwt({ key, kid: 'ES256' }))
const own = await client.clientCredentialsGrant(keyed, { resource: ask.resource })
assert.equal((await client.tokenIntrospection(keyed, own.access_token)).active, true)
await client.tokenRevocation(keyed, own.access_token)
assert.equal((await client.tokenIntrospection(keyed, own.access_token)).active, false)
result.keyed = decodeJwt(own.access_token)
did.push('private_key_jwt', 'resource', 'introspection', 'revocation')

const refused = await refresh(refreshed.refresh_token).catch((error) => error)
assert(refused instanceof client.ResponseBodyError, String(refused))
result.refused = refused.error

process.stdout.write(JSON.stringify(result))
