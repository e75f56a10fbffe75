// A frame of no origin, whatever it shows; it is loaded when it comes into sight.

export default function ({ parentElement: root, data }) {
  let frame = root.querySelector("iframe");
  if (!frame) {
    frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-scripts");
    frame.loading = "lazy";
    root.append(frame);
  }
  frame.title = data.title;
  if (frame.getAttribute(data.name) !== data.value) frame.setAttribute(data.name, data.value);
}
