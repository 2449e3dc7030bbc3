//! The Lambda function `recorder`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    recorder::serve().await
}
