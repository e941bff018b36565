// Text that others control, as HTML.
const params = new URLSearchParams(window.location.search)
document.getElementById('name').innerHTML = params.get('name') // expect: javascript.dom-xss
document.write('<b>' + location.hash.slice(1) + '</b>') // expect: javascript.dom-xss
$('#name').html(decodeURIComponent(location.search)) // expect: javascript.dom-xss

function greet() {
  const name = new URL(location.href).searchParams.get('name')
  const box = document.querySelector('#box')
  box.insertAdjacentHTML('beforeend', `<p>Hello ${name}</p>`) // expect: javascript.dom-xss
  box.outerHTML = '<p>' + document.referrer + '</p>' // expect: javascript.dom-xss
}

window.addEventListener('message', (event) => {
  document.body.innerHTML = event.data // expect: javascript.dom-xss
})

window.onmessage = function (event) {
  document.body.innerHTML += event.data.text // expect: javascript.dom-xss
}

async function load() {
  const answer = await fetch('/comments')
  const comments = await answer.json()
  document.getElementById('list').innerHTML = comments.map((c) => `<li>${c.text}</li>`).join('') // expect: javascript.dom-xss
}

fetch('/user').then((r) => r.json()).then((user) => {
  document.getElementById('user').innerHTML = '<b>' + user.name + '</b>' // expect: javascript.dom-xss
})

$.get('/user', function (data) {
  $('#user').html(data.name) // expect: javascript.dom-xss
})

function show(message) {
  document.getElementById('note').innerHTML = '<p>' + message + '</p>' // expect: javascript.dom-xss
}
