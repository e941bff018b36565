const board = document.getElementById("board");
const params = new URLSearchParams(location.search);

function greet() {
  const name = params.get("name");
  board.textContent = name;
  board.classList.add("open");
}

greet();
