const board = document.getElementById("board");
const params = new URLSearchParams(location.search);

function greet() {
  const name = params.get("name");
  if (!name) {
    return;
  }
  board.innerHTML += name;
  board.classList.add("open");
}

greet();
