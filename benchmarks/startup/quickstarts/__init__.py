"""The quickstarts of two servers of models, with a picture in and a mask out: what somebody writes who begins there."""
