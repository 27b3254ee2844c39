// Somebody at the single-page application of docs/clients.md, in Chromium: logs in,
// reloads it, and logs out. It reads a request and prints what went wrong.
import { readFileSync } from 'node:fs'
import { browser, expect, fill, person, wrong } from './people.mjs'

const ask = JSON.parse(readFileSync(0, 'utf8'))
const { page } = await person()
const asked = []
page.on('request', (request) => {
  const { origin, pathname, searchParams } = new URL(request.url())
  if (origin === ask.issuer && request.method() !== 'OPTIONS') asked.push({ pathname, searchParams, request })
})
// last is what was asked last of a route.
const last = (pathname) => asked.findLast((a) => a.pathname === pathname)
const proof = (request) => JSON.parse(Buffer.from(request.headers().dpop.split('.')[1], 'base64url'))
const known = async (when) => {
  await page.waitForSelector('text=Log out')
  expect(`who is known ${when}`, await page.textContent('p'), `You are ${ask.username}.`)
  expect(`the address ${when}`, page.url(), ask.page)
  const { request } = last('/oauth/userinfo')
  expect(`the userinfo ${when}`, (await request.response()).status(), 200)
  expect(`the token ${when}`, request.headers().authorization.split(' ')[0], 'DPoP')
  expect(`the proof ${when}`, Boolean(proof(request).ath && proof(request).nonce), true)
}
// thumbprints are those of the keys that the page has kept, once it is seen that no script can read them.
const thumbprints = () =>
  page.evaluate(async () => {
    const opening = indexedDB.open('notes')
    await new Promise((done) => (opening.onsuccess = done))
    const asking = opening.result.transaction('kept').objectStore('kept').getAll()
    await new Promise((done) => (asking.onsuccess = done))
    opening.result.close()
    return Promise.all(asking.result.map(async ({ pair }) => {
      const read = await crypto.subtle.exportKey('jwk', pair.privateKey).then(() => 'a key that scripts can read', () => undefined)
      const { crv, kty, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
      const sum = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify({ crv, kty, x, y })))
      return read ?? btoa(String.fromCharCode(...new Uint8Array(sum))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
    }))
  })

try {
  await page.goto(ask.page)
  await page.click('text=Log in')
  await page.waitForSelector('#username')
  const { searchParams } = asked.find((a) => a.pathname === '/oauth/authorize')
  expect('the challenge', searchParams.get('code_challenge_method'), 'S256')
  expect('state and nonce', Boolean(searchParams.get('state') && searchParams.get('nonce')), true)
  await fill(page, { username: ask.username, password: ask.password })
  await known('after the log-in')
  expect('the key of the code', await thumbprints(), [searchParams.get('dpop_jkt')])

  asked.length = 0
  await page.reload()
  await known('after a reload')
  const { request } = last('/oauth/token')
  expect('the grant after a reload', new URLSearchParams(request.postData()).get('grant_type'), 'refresh_token')
  expect('the refresh', (await request.response()).status(), 200)
  expect('the key after a reload', await thumbprints(), [searchParams.get('dpop_jkt')])

  await page.click('text=Log out')
  await page.waitForURL(ask.page)
  await page.waitForSelector('text=Log in')
  expect('what is known after the log-out', await page.textContent('p'), '')
  await page.click('text=Log in')
  await page.waitForSelector('#password')
  await page.goto(`${ask.page}?code=kt_ac_x&state=another&iss=${encodeURIComponent(ask.issuer)}`)
  await page.waitForSelector('text=Log in')
  expect('the answer to another request', (await page.textContent('p')).includes('state'), true)
} catch (error) {
  wrong.push(String(error))
}
await browser.close()
console.log(JSON.stringify({ wrong }))
