# R's glmnet, cross-validation of one task: Rscript glmnet_side.R FOLDER
# The processor's seconds are those of cv.glmnet alone; the coefficients, of all rows, are those that it keeps.
suppressPackageStartupMessages(library(glmnet))
folder <- commandArgs(trailingOnly = TRUE)[1]
read <- function(name) {
  file <- file.path(folder, name)
  readBin(file, "double", n = file.size(file) / 8)
}
task <- read("task")  # alpha
y <- read("y")
X <- matrix(read("X"), nrow = length(y))
family <- readLines(file.path(folder, "family"))
started <- proc.time()
found <- cv.glmnet(X, y, family = family, alpha = task[1], lambda = read("lambdas"), foldid = read("folds"),
                   standardize = FALSE)
spent <- proc.time() - started
fit <- found$glmnet.fit
write <- function(values, name) writeBin(as.double(values), file.path(folder, name))
write(spent[["user.self"]] + spent[["sys.self"]], "seconds")
write(as.matrix(fit$beta), "coef")
write(fit$a0, "intercept")
write(fit$lambda, "used")
