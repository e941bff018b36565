const board = document.getElementById("board");
const params = new URLSearchParams(location.search);

function show(element, text) {
  element.innerHTML = text;
}

function greet() {
  const name = params.get("name");
  if (!name) {
    return;
  }
  show(board, name);
  board.classList.add("open");
}

greet();
