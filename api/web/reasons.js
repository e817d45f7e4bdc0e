// Why a person should look at a page, in the words of docs/review.md; a test compares the two.
export const REASONS = {
  blank: "hardly anything stands out from the paper",
  unusual_shape: "the page is higher or longer than lines of writing are",
  crowded: "more goes on from top to bottom than in a line: several lines, a page, a picture",
  unfamiliar: "the network finds it far from everything that it was trained on",
  typewritten: "it looks like typewriting, which is neither handwriting nor the print that the model knows",
  divided: "a part of it speaks clearly for another class: half of it printed, half written",
  low_confidence: "the probability of the predicted class is below the review threshold",
};
